-- Indicators of the sampled customers, computed again from audit_facts and audit_reviews: one row per customer and
-- indicator that can be. A tenure that rests on a registration has none. Whether the data reaches back over the spend
-- window is a fact of the whole company, not of a customer: it is taken from the indicator's status.
{%- set of_orders = [
    'annual_spend', 'cumulative_spend', 'average_order_value', 'order_frequency', 'recency_days', 'orders_12m',
    'orders_90d', 'active_days_90d', 'lifetime_value', 'tenure_years'
] %}
{%- set of_lines = [
    'profit_contribution', 'profit_margin', 'products_held', 'churn_rate', 'cross_buy_rate', 'product_diversity'
] %}
{%- set of_payments = ['on_time_payment_rate', 'average_days_overdue'] %}
{%- set of_reviews = [
    'industry_rank', 'industry_growth', 'size_growth', 'demand_match', 'assets', 'industry_fit', 'digital_demand'
] %}
{%- set recomputed = of_orders + of_lines + of_payments + of_reviews %}
with sampled as (

    select distinct
        customers.customer_id,
        nights.as_of_date,
        nights.spend_basis,
        nights.spend_window_start,
        nights.spend_window_end,
        nights.year_before,
        nights.two_years_before,
        nights.quarter_before,
        nights.expected_years,
        indicators.annual_spend_status,
        exists(
            select 1
            from {{ ref('int_customer_ids') }} as ids
            inner join {{ source('pipeline', 'input_tables') }} as mapped
                on ids.source = mapped.source
            where
                ids.customer_id = customers.customer_id
                and mapped.input_table in ('orders', 'order_lines')
        ) as has_order_source
    from {{ ref('audit_customers') }} as customers
    inner join {{ ref('int_as_of_dates') }} as nights
        on customers.as_of_date = nights.as_of_date
    left join {{ ref('fct_customer_indicators') }} as indicators
        on
            customers.customer_id = indicators.customer_id
            and customers.as_of_date = indicators.as_of_date

),

facts as (

    select * from {{ ref('audit_facts') }}

),

reviews as (

    select * from {{ ref('audit_reviews') }}

),

-- Everything that happened to a sampled customer up to the night, with its age in days.
known as (

    select
        sampled.*,
        facts.fact,
        facts.happened_on,
        facts.settled_on,
        facts.category,
        facts.product,
        facts.net_amount,
        facts.cost_amount,
        case when sampled.spend_basis = 'gross' then facts.gross_amount else facts.net_amount end as spend,
        {{ days_between('facts.happened_on', 'sampled.as_of_date') }} as age,
        facts.happened_on between sampled.spend_window_start and sampled.spend_window_end as is_in_window,
        facts.fact in ('sale', 'return') as is_order,
        facts.fact in ('sold_line', 'returned_line') as is_line
    from sampled
    inner join facts
        on
            sampled.customer_id = facts.customer_id
            and sampled.as_of_date >= facts.happened_on

),

totals as (

    select
        customer_id,
        sum(case when is_order and is_in_window then spend end) as window_spend,
        sum(case when is_order and happened_on > quarter_before then spend end) as quarter_spend,
        sum(case when is_order then net_amount end) as cumulative_spend,
        count(case when fact = 'sale' then 1 end) as orders,
        count(case when is_order then 1 end) as orders_and_returns,
        min(case when fact = 'sale' then happened_on end) as first_order_on,
        max(case when fact = 'sale' then happened_on end) as last_order_on,
        count(case when is_order and happened_on > year_before then 1 end) as events_of_the_year,
        count(case when fact = 'sale' and happened_on > year_before then 1 end) as orders_of_the_year,
        count(case when fact = 'sale' and happened_on > year_before and age < 90 then 1 end) as orders_of_90_days,
        count(distinct case when fact = 'sale' and happened_on > year_before and age < 90 then happened_on end)
            as order_days_of_90_days,
        sum(case when is_line and is_in_window then net_amount end) as line_revenue,
        sum(case when is_line and is_in_window then cost_amount end) as line_cost,
        count(case when is_line and is_in_window and cost_amount is null then 1 end) as lines_without_cost,
        count(distinct case when fact = 'sold_line' then product end) as products,
        count(distinct case when fact = 'sold_line' and is_in_window then category end) as categories,
        count(case when fact = 'invoice' and happened_on > year_before then 1 end) as invoices_due,
        count(
            case
                when fact = 'invoice' and happened_on > year_before and settled_on <= happened_on then 1
            end
        ) as invoices_in_time,
        avg(
            case
                when fact = 'invoice' and happened_on > year_before
                    then
                        greatest(
                            {{ days_between(
                                'happened_on',
                                'case when settled_on <= as_of_date then settled_on else as_of_date end'
                            ) }},
                            0
                        )
            end
        ) as mean_days_overdue
    from known
    group by customer_id

),

-- Spend of the year before last night's year, by category, and whether the category was bought since.
categories as (

    select
        customer_id,
        category,
        sum(case when happened_on <= year_before then net_amount else 0 end) as before,
        count(case when fact = 'sold_line' and happened_on > year_before then 1 end) as bought_since
    from known
    where is_line and category is not null and happened_on > two_years_before
    group by customer_id, category

),

losses as (

    select
        customer_id,
        {{ ratio('sum(case when bought_since = 0 then before else 0 end)', 'sum(before)') }} as churn_rate
    from categories
    where before > 0
    group by customer_id

),

offered as (

    select count(distinct category) as categories from facts
    where fact = 'offered'

),

wide as (

    select
        sampled.customer_id,
        sampled.as_of_date,
        cast(
            case sampled.annual_spend_status
                when 'measured' then coalesce(totals.window_spend, 0)
                when 'partial' then coalesce(totals.window_spend, 0)
                when 'imputed' then 4 * coalesce(totals.quarter_spend, 0)
            end as decimal(18, 2)
        ) as annual_spend,
        case when sampled.has_order_source then coalesce(totals.cumulative_spend, 0) end as cumulative_spend,
        cast({{ ratio('totals.cumulative_spend', 'totals.orders') }} as decimal(18, 2)) as average_order_value,
        case when sampled.has_order_source then coalesce(totals.orders, 0) end as order_frequency,
        {{ days_between('totals.last_order_on', 'sampled.as_of_date') }} as recency_days,
        -- Nothing happened in the year: 0 where annual spend is known.
        case
            when totals.events_of_the_year > 0 then totals.orders_of_the_year
            when sampled.annual_spend_status in ('measured', 'partial') then 0
        end as orders_12m,
        case
            when totals.events_of_the_year > 0 then totals.orders_of_90_days
            when sampled.annual_spend_status in ('measured', 'partial') then 0
        end as orders_90d,
        case
            when totals.events_of_the_year > 0 then totals.order_days_of_90_days
            when sampled.annual_spend_status in ('measured', 'partial') then 0
        end as active_days_90d,
        floor(
            ({{ day_number('sampled.as_of_date') }} - {{ day_number('totals.first_order_on') }}) / 10000
        ) as tenure_years,
        case when totals.lines_without_cost = 0 then totals.line_revenue - totals.line_cost end as profit_contribution,
        case
            when totals.lines_without_cost = 0 and totals.line_revenue > 0
                then {{ ratio('totals.line_revenue - totals.line_cost', 'totals.line_revenue') }}
        end as profit_margin,
        case
            when totals.products > 0 then totals.products
            when sampled.has_order_source then 0
        end as products_held,
        case
            when totals.categories > 0 then totals.categories
            when sampled.annual_spend_status in ('measured', 'partial') then 0
        end as product_diversity,
        case
            when totals.categories > 0 then {{ ratio('totals.categories', 'offered.categories') }}
            when sampled.annual_spend_status in ('measured', 'partial') then 0
        end as cross_buy_rate,
        losses.churn_rate,
        {{ ratio('totals.invoices_in_time', 'totals.invoices_due') }} as on_time_payment_rate,
        cast(totals.mean_days_overdue as decimal(18, 2)) as average_days_overdue,
        {%- for name in of_reviews %}
        reviews.{{ name }},
        {%- endfor %}
        reviews.strategic_level,
        sampled.expected_years
    from sampled
    cross join offered
    left join totals
        on sampled.customer_id = totals.customer_id
    left join losses
        on sampled.customer_id = losses.customer_id
    left join reviews
        on sampled.customer_id = reviews.customer_id

),

complete as (

    select
        *,
        cast(annual_spend * expected_years as decimal(18, 2)) as lifetime_value
    from wide

)

{% for name in recomputed -%}
select
    customer_id,
    as_of_date,
    '{{ name }}' as indicator,
    cast({{ name }} as decimal(24, 6)) as raw_value,
    cast(null as varchar) as raw_level
from complete
{% if name == 'tenure_years' -%}
where tenure_years is not null
{% endif -%}
union all
{% endfor -%}
select
    customer_id,
    as_of_date,
    'strategic_level' as indicator,
    cast(null as decimal(24, 6)) as raw_value,
    strategic_level as raw_level
from complete
