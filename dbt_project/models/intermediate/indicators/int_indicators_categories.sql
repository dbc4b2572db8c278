-- Breadth of buying: categories bought in the spend window, as a share of categories offered, and the favourite.
with lines as (

    select * from {{ ref('int_order_lines') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

offered as (

    select count(distinct category) as categories_offered from {{ ref('int_products') }}

),

bought as (

    select
        lines.customer_id,
        as_of_dates.as_of_date,
        lines.category,
        sum(lines.net_amount) as net_amount
    from lines
    inner join as_of_dates
        on
            lines.ordered_on between as_of_dates.spend_window_start and as_of_dates.spend_window_end
    where lines.order_type = 'sale' and lines.category is not null
    group by lines.customer_id, as_of_dates.as_of_date, lines.category

),

ranked as (

    select
        customer_id,
        as_of_date,
        category,
        row_number() over (
            partition by customer_id, as_of_date
            order by net_amount desc, category asc
        ) as category_rank
    from bought

)

select
    ranked.customer_id,
    ranked.as_of_date,
    cast(count(*) as integer) as product_diversity,
    {{ ratio('count(*)', 'max(offered.categories_offered)') }} as cross_buy_rate,
    max(case when ranked.category_rank = 1 then ranked.category end) as preferred_category
from ranked
cross join offered
group by ranked.customer_id, ranked.as_of_date
