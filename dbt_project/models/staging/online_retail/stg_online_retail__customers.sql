-- Customers exist through their orders; the country of the last order is the region. The shop is a wholesaler's and
-- does not say which of its customers are persons, so all of them count as businesses.
with lines as (

    select * from {{ ref('stg_online_retail__lines') }}

),

ranked as (

    select
        source_customer_id,
        country,
        min(ordered_on) over (partition by source_customer_id) as registered_on,
        row_number() over (
            partition by source_customer_id
            order by invoiced_at desc, order_id desc, line_id desc
        ) as line_rank
    from lines

)

select
    source_customer_id,
    'Customer ' || source_customer_id as customer_name,
    cast(null as varchar) as industry,
    cast(null as varchar) as company_size,
    country as region,
    cast(null as varchar) as owner_name,
    cast(null as varchar) as contact_name,
    cast(null as varchar) as phone,
    cast(null as varchar) as email,
    cast(null as varchar) as tax_id,
    'business' as customer_kind,
    registered_on,
    cast(null as varchar) as linked_source,
    cast(null as varchar) as linked_customer_id
from ranked
where line_rank = 1
